"""Face detection and identification over HTTP: the service, its page and a client (the extra ``serve``)."""

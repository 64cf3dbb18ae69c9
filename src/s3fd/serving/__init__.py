"""Faces over HTTP: the service, its page, and a client for it (the extra ``serve``)."""

"""From a picture to its faces: decoding, resizing, the network's runtimes and post-processing."""

"""Faces followed through a video: frames in, tracks between the detections, frames out."""

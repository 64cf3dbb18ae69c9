"""Face tracking in video: reading frames, linking detections into tracks, and writing frames."""

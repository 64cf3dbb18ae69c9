"""Run MediaPipe's short-range face detector in a process of its own, for `speed.py`.

`speed.py --mediapipe PYTHON` starts it, where PYTHON is the interpreter of an environment with MediaPipe:

    python3.11 -m venv mp && mp/bin/pip install mediapipe==0.10.21

MediaPipe requires older versions of NumPy and protobuf than this project's other dependencies accept. Each
picture arrives on standard input: height and width (two little-endian unsigned integers of 32 bits), then its
pixels as blue, green, red. The answer is a line of JSON with the milliseconds that the detector took and a
row [left, top, right, bottom, score] per face. MediaPipe chooses its own number of threads.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time

import cv2
import mediapipe
import numpy as np

MIN_SCORE = 0.02
"""The same as for the other peers."""


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what MediaPipe prints must not mix with the answers
    solution = mediapipe.solutions.face_detection
    with solution.FaceDetection(min_detection_confidence=MIN_SCORE, model_selection=0) as detector:
        while header := sys.stdin.buffer.read(8):
            height, width = struct.unpack("<II", header)
            picture = np.frombuffer(sys.stdin.buffer.read(height * width * 3), np.uint8)
            picture = picture.reshape(height, width, 3)
            start = time.perf_counter()
            found = detector.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).detections or ()
            spent = 1000 * (time.perf_counter() - start)
            faces = []
            for face in found:
                box = face.location_data.relative_bounding_box
                left, top = width * box.xmin, height * box.ymin
                faces.append([left, top, left + width * box.width, top + height * box.height, face.score[0]])
            print(json.dumps([spent, faces]), file=answers, flush=True)


if __name__ == "__main__":
    main()

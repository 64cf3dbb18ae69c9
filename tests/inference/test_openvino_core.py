"""What is left of OpenVINO when a detector is gone: a process in which signals are still handled."""

import subprocess
import sys

SCRIPT = """
import signal
from threading import Thread

from s3fd.inference.openvino_runtime import OpenVinoRuntime
from s3fd.inference.runtime import BUNDLED

opened = [OpenVinoRuntime(BUNDLED / "slim.onnx", threads=1)]
released = Thread(target=opened.clear)
released.start()
released.join()
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job does not have
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_does_not_crash_after_a_detector_was_released_by_another_thread() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr

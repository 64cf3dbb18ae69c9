import subprocess
import sys
from pathlib import Path


def test_a_run_is_the_same_wherever_its_pictures_lie() -> None:
    """Its worker processes are forked, which goes wrong beside all the libraries that other tests load."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(Path(__file__).with_name("places.py"))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

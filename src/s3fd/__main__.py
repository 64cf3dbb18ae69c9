"""``python -m s3fd`` is the command ``s3fd``."""

from s3fd.cli import app

if __name__ == "__main__":
    app(prog_name="s3fd")

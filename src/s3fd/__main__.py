"""Run the command ``s3fd`` as ``python -m s3fd``."""

from s3fd.cli import app

if __name__ == "__main__":
    app(prog_name="s3fd")

"""``s3fd gallery``: people, and whether a face is one of theirs."""

from __future__ import annotations

from s3fd.cli.application import application
from s3fd.cli.gallery.asking import identify, verify
from s3fd.cli.gallery.clustering import cluster
from s3fd.cli.gallery.people import add, list_people, remove
from s3fd.cli.gallery.thresholds import calibrate

app = application(
    no_args_is_help=True,
    help="Enrol people in a gallery, and identify or verify their faces.",
)

app.command()(add)
app.command()(remove)
app.command("list")(list_people)
app.command()(identify)
app.command()(verify)
app.command()(calibrate)
app.command()(cluster)

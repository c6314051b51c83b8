"""``synth model import``."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["import_"]

FORMATS = ("lsfm", "bfm2009", "bfm2017", "bfm2019", "flame", "surrey", "ict", "anny")


@click.command("import")
@click.argument("format", metavar="FORMAT", type=click.Choice(FORMATS))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), metavar="NPZ",
              help="The model to write.")  # fmt: skip
@click.option("--landmarks", type=click.Path(path_type=Path), metavar="TXT",
              help="iBUG-68 map of this mesh: lines 'landmark vertex', both from 0.  "
                   "[default: the one shipped for the format]")  # fmt: skip
@click.option("--unit", type=float, metavar="MM",
              help="Millimetres of one unit of the file.  [default: the format's]")  # fmt: skip
@click.option("--name", help="What the model is to be called.  [default: from the file]")
@click.option("--version", help="Its version.  [default: the format's]")
@click.option("--licence", help="Its licence, for the record.  [default: the format's]")
@click.option("--source", help="Where it is from, for the record.  [default: the format's]")
@click.option("--overwrite", is_flag=True, help="Replace an earlier model.")
def import_(
    format: str,
    file: Path | None,
    output: Path,
    landmarks: Path | None,
    unit: float | None,
    overwrite: bool,
    **record: str | None,
) -> None:
    """Make a model of another library usable here.

    \b
    synth model import flame generic_model.pkl -o flame.npz
    synth model import bfm2017 model2017-1_bfm_nomouth.h5 -o bfm.npz
    synth model import surrey sfm_shape_3448.bin -o sfm.npz
    synth model import ict ICT-FaceKit/FaceXModel -o ict.npz
    synth generate --model flame.npz --input neutral/ --output out/ --va 0.7,0.4

    FORMAT is lsfm (.mat, or a menpo pickle), bfm2009 (.mat), bfm2017 or bfm2019 (.h5), flame
    (.pkl or .npz), surrey (eos .bin), ict (a folder) or anny (the installed package, no FILE).
    No code in a pickle is run. The models have licences of their own, which stay with the result.
    """
    from synth.building.importing import import_file

    lines = import_file(
        format, file, output, landmarks=landmarks, unit=unit, overwrite=overwrite, **record
    )
    click.echo("\n".join(lines))

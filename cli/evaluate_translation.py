"""``synth evaluate translation``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path)


@click.command()
@click.option("--vis", type=FOLDER, required=True, metavar="DIR", help="The visible photos.")
@click.option(
    "--translated",
    type=FOLDER,
    required=True,
    metavar="DIR",
    help="Their translations: the same names, or the folder of synth translate.",
)
@click.option("--nir", type=FOLDER, metavar="DIR", help="Real near-infrared pictures.")
@click.option(
    "--paired",
    is_flag=True,
    help="Those of the same name show the same moment: PSNR, SSIM and LPIPS.",
)
@click.option(
    "--labels", type=FOLDER, metavar="CSV", help="Whose face it is: columns file_name, person."
)
@click.option(
    "--count",
    "counted",
    multiple=True,
    metavar="PERSON",
    help="Tell apart only the real pictures of this person, and learn from the others; "
    "repeat for more.",
)
@click.option(
    "--lpips-weights",
    multiple=True,
    type=FOLDER,
    metavar="FILE",
    help="torchvision's alexnet file and alex.pth of the package lpips; give both.",
)
@click.option(
    "--vis-predictions",
    type=FOLDER,
    metavar="CSV",
    help="Of a recogniser of photos: file_name, valence, arousal, expression.",
)
@click.option(
    "--translated-predictions",
    type=FOLDER,
    metavar="CSV",
    help="Of a recogniser of near-infrared pictures, for the translations.",
)
@click.option(
    "--output",
    "-o",
    type=FOLDER,
    default="synth-evaluation",
    show_default=True,
    metavar="DIR",
    help="Folder of the report.",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier report.")  # fmt: skip
def translation(output: Path, overwrite: bool, **options: Any) -> None:
    """How good translations to near infrared are.

    \b
    synth evaluate translation --vis photos/ --translated nir/ --output report/
    synth evaluate translation --vis photos/ --translated nir/ --nir real/ --labels people.csv
    synth evaluate translation --vis test/vis --translated nir/ --nir test/nir --paired

    Sharpness, identity, landmarks and lost faces; how well a fresh classifier tells the
    translations from real pictures; agreement of two recognisers. Writes report.md,
    report.json, per_image.csv and sheet.jpg.
    """
    from synth.errors import UsageError
    from synth.evaluation.translation import TranslationTest, evaluate_translation
    from synth.evaluation.translation_report import FILES, report_text, write_report

    if not overwrite and any((output / name).exists() for name in FILES):
        raise UsageError(
            f"output: expected a folder without a report, got {output}; use --overwrite"
        )
    test = TranslationTest(**options)
    with click.progressbar(length=1, label="measuring", file=sys.stderr) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        report, rows, sheet = evaluate_translation(test, progress)
    write_report(output, report, rows, sheet)
    click.echo(report_text(report))
    click.echo(f"written to {output}", err=True)

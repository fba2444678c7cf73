"""The card of a shipped model says all that its record holds."""

import json
import re

import pytest

from patchtst_har.errors import ModelFolderError
from patchtst_har.inference.pretrained_card import pretrained_card, write_pretrained_card
from patchtst_har.model_folder import read_model_folder
from patchtst_har.pretrained import read_summary
from shipped import JUDGED, a_model, an_encoder, ship
from streams import small_recognizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return ship(tmp_path_factory.mktemp("card"), a_model())


def table_of(card, heading):
    """Return the rows of the first table below a heading, each a list of cells."""
    section = card.partition(f"{heading}\n")[2].partition("\n#")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in section.splitlines() if line.startswith("|")]
    return [
        [cell.strip().replace("\\|", "|") for cell in row] for row in rows if not row[0].startswith("---")
    ]


def test_a_card_shows_data_scores_and_failures(folder):
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card == pretrained_card(a_model(), read_model_folder(folder))
    assert card.startswith("# wrist\n\nThree activities of a wrist.\n")
    assert "one of 3 classes: running, sitting, walking." in card
    assert "Licence: CC BY 4.0, by a catalogue; the repository of the files states none." in card
    assert "- Cite: Nobody, Nowhere 2024." in card
    assert table_of(card, "### made: 3 people")[1:] == [
        ["slow walking", "walking"],
        ["sitting", "sitting"],
        ["jogging", "running"],
        ["falling", "left out"],
    ]
    judged = table_of(card, "## Scores on people who did not train the judged model")[1]
    assert judged == [
        JUDGED.name,
        "cross-validation",
        "3 / 1,234",
        "none",
        "0.812 (0.750 to 0.875)",
        "n/a",
        "0.040",
    ]
    assert "Macro F1 by seed: 0: 0.810, 1: 0.820." in card
    assert "| forest | 0.750 | +0.062 (-0.010 to +0.100) |" in card
    assert "| walking | 0.800 | 0.700 | 0.750 | 5 |" in card
    assert "by person: mean 0.700, median 0.700, worst 0.500 (P2), best 0.900" in card
    assert "from the worst: P2 0.50, P3 0.70, P1 0.90." in card
    assert "one temperature, 1.250, folded into" in card
    assert "0.090 before, 0.030 after" in card
    assert table_of(card, "## Where it fails")[1] == ["sensor | reversed", "all is sitting"]
    assert table_of(card, "## Changed recordings")[1] == ["25 Hz", "0.790", "-0.022"]
    assert table_of(card, "## Latency")[1][:3] == ["avx2", "0.100", "0.200"]
    assert "`python -m studies.made` with patchtst-har 0.1.0, seeds 0, 1." in card


def test_classes_stand_in_the_order_of_the_model(folder):
    backwards = JUDGED.model_copy(update={"per_class": JUDGED.per_class[::-1]})
    record = a_model(cross_validated=backwards)
    assert pretrained_card(record, read_model_folder(folder)) == pretrained_card(
        a_model(), read_model_folder(folder)
    )
    other = JUDGED.per_class[0].model_copy(update={"name": "swimming"})
    with pytest.raises(ValueError, match=r"three folds over people: per_class: swimming is no class"):
        a_model(judgements=(JUDGED.model_copy(update={"per_class": (other,)}),))


def test_what_is_not_known_has_no_section(folder):
    bare = {"calibration": None, "robustness": (), "latency": ()}
    card = pretrained_card(a_model(**bare), read_model_folder(folder))
    headings = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert headings == [
        "Data",
        "Scores on people who did not train the judged model",
        "Where it fails",
        "How it was made",
    ]
    encoder = pretrained_card(an_encoder(), read_model_folder(folder))
    assert "`patchtst-har train --init wrist-base`). It gives no labels." in encoder
    assert "## Scores" not in encoder
    assert "n/a" not in encoder.partition("## Calibration")[0]


def test_the_record_is_read_back_as_it_was(folder):
    assert read_summary(folder) == a_model()
    kept = json.loads((folder / "summary.json").read_text())
    assert kept["cross_validated"]["per_class"][0]["class"] == "running"


def test_a_record_of_another_model_is_refused(tmp_path):
    folder = small_recognizer().save_pretrained(tmp_path / "wrist-9")
    for record, message in (
        (a_model(), r"wrist-9: summary\.json is of a model called wrist$"),
        (
            an_encoder(name="wrist-9", classes=("a", "b")),
            r"has the classes running, sitting, walking, .* a, b",
        ),
    ):
        with pytest.raises(ModelFolderError, match=message):
            write_pretrained_card(folder, record)
        assert not (folder / "summary.json").exists()
        assert not (folder / "MODEL_CARD.md").exists()

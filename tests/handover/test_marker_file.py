from __future__ import annotations

from klayout import db, rdb

from opticdesign.handover.marker_file import Marker, marker_file


def loaded(text: str, folder) -> rdb.ReportDatabase:
    (folder / "markers.lyrdb").write_text(text, "utf-8")
    database = rdb.ReportDatabase("")
    database.load(str(folder / "markers.lyrdb"))
    return database


def test_klayout_reads_nested_categories_boxes_and_texts_with_any_sign(tmp_path) -> None:
    categories = {("width", "layer_1"): "2 < 3 & more", ("gap",): "none"}
    says = "row 1: 5 µm² > 'x' \\ <b>"
    markers = [Marker(("width", "layer_1"), (-1.5, 0.0, 0.3164, 1e-4), says)]
    database = loaded(marker_file("a & b", "DIE", categories, markers), tmp_path)
    assert database.description == "a & b" and database.top_cell_name == "DIE"
    assert [category.name() for category in database.each_category()] == ["width", "gap"]
    inner = database.category_by_path("width.layer_1")
    assert inner.description == "2 < 3 & more"
    (item,) = list(database.each_item_per_category(inner.rdb_id()))
    box, text = list(item.each_value())
    assert box.box() == db.DBox(-1.5, 0.0, 0.3164, 1e-4)
    assert text.string() == says


def test_a_file_without_markers_is_read_too(tmp_path) -> None:
    assert loaded(marker_file("clean", "DIE", {}, []), tmp_path).num_items() == 0

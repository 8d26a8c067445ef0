"""Pictures of a run, drawn with matplotlib: `draw_…` writes a PNG, `…_figure` gives the figure itself."""

from opticdesign.figures.comparison import comparison_figure, draw_comparison
from opticdesign.figures.fields import FieldPicture, draw_fields, fields_figure
from opticdesign.figures.history import draw_history, draw_validations, history_figure, validations_figure
from opticdesign.figures.masks import draw_masks, masks_figure
from opticdesign.figures.panel import draw_panel, panel_figure
from opticdesign.figures.profiles import draw_profiles, profiles_figure
from opticdesign.figures.whole_field import draw_field, field_figure

__all__ = [
    "FieldPicture",
    "comparison_figure",
    "draw_comparison",
    "draw_field",
    "draw_fields",
    "draw_history",
    "draw_masks",
    "draw_panel",
    "draw_profiles",
    "draw_validations",
    "field_figure",
    "fields_figure",
    "history_figure",
    "masks_figure",
    "panel_figure",
    "profiles_figure",
    "validations_figure",
]

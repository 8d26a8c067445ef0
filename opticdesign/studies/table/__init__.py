"""The table study: rows of designs beside their floors."""

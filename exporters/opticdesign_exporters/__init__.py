"""The exporters that ship with opticdesign; each writer stands beside a reader that shares no code with it."""

__all__: list[str] = []

"""Files for those who make masks: the protocols of exporters and importers, manifests."""

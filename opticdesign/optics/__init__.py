"""Physics: fields, free space, masks and lenses, light and the camera, as functions of tensors."""

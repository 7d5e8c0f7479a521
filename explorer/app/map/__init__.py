"""The map: layout, colours, sheets of images, layers, selection, its component."""

"""The map page's parts: layout, layers, selection, and the components in the browser."""

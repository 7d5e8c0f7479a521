"""The map page's parts: layout, colours, sheets, layers, selection, and the component in the browser."""

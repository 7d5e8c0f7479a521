"""Sources: folders, tars and tables of pictures, as items to embed."""

"""Pages of the dashboard, one file each; `app.main` lists them."""

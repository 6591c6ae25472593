"""What jobs compute: Imported and Computed tables, the content store, the worker."""

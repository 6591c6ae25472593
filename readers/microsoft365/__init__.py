"""OneDrive, SharePoint and Teams files, and what Microsoft 365 knows of people and sharing."""

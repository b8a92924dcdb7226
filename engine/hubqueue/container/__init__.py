"""What is only so in the container of Home Assistant's app: its folders, options, user and backups."""

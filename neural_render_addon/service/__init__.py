"""The server as the add-on sees it: client, process, installation, work beside Blender."""

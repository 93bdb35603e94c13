"""The sidebar's panels and the entries in Blender's own menus."""

"""What the add-on keeps in the .blend and in Blender's preferences."""

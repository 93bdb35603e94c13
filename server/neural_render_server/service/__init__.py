"""The HTTP service: jobs, events and frames over loopback for Blender and other programs.

Nothing here imports torch at module level, so that the server is ready at once.
"""

# The version of the HTTP contract (docs/architecture.md); it is the first part of every path.
API_VERSION = 1

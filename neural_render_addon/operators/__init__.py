"""The add-on's operators, one module a topic; each exports CLASSES."""

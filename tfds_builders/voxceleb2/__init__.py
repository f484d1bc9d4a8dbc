"""VoxCeleb2: faces and voices of celebrities in interviews; unlabelled, without text."""

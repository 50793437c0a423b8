// ArtifactDriver

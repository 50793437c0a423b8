// ArtifactFormats

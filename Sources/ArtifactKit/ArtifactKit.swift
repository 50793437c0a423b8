// ArtifactKit

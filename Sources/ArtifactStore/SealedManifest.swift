/// What the manifest of a directory that is an artifact says, for who has read it.
public enum SealedManifest {
    /// The files that its text has, in its order.
    public static func files(in text: [UInt8]) -> [SealedFile] { Manifest.files(in: text) }
}

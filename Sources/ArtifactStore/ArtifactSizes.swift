internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// How large the artifacts of production are, by a sample: a million are not looked at for it.
public struct ArtifactSizes: Sendable, Equatable {
    /// How many were looked at.
    public private(set) var files = 0
    /// What they have together.
    public private(set) var bytes: Int64 = 0

    /// So many are looked at in a directory.
    private static let most = 1000

    /// From this mean size on, in bytes, files are large. Opening one costs as much as the driver takes to read 80 KiB more than the kernel
    /// would; and what it has read once the kernel keeps.
    private static let large: Int64 = 1 << 20

    /// A sample with these.
    public init(files: Int = 0, bytes: Int64 = 0) { (self.files, self.bytes) = (files, bytes) }

    /// Looks at a store. What cannot be looked at counts as nothing.
    public init(of store: Store) {
        var seen: Set<String> = []
        for layer in Layer.allCases {
            for type in store.schema.types(in: layer) {
                let directory = store.directory(for: .typed(.production, layer, type))
                guard seen.insert(directory.path).inserted, let real = try? directory.current() else { continue }
                add(real.descriptor)
            }
        }
    }

    /// Whether it is worth to open each file, so that the kernel reads it by itself.
    public var areLarge: Bool { files > 0 && bytes / Int64(files) >= Self.large }

    private mutating func add(_ directory: FileDescriptor) {
        var left = Self.most
        _ = try? SystemCall.forEachName(in: directory) { name, _, type throws(Errno) in
            guard type == S_IFREG || type == 0 else { return }
            guard left > 0 else { throw Errno.canceled }
            left -= 1
            guard let attributes = try? SystemCall.attributes(directory, name),
                attributes.st_mode & S_IFMT == S_IFREG
            else { return }
            files += 1
            bytes = bytes.addingReportingOverflow(Int64(attributes.st_size)).partialValue
        }
    }
}

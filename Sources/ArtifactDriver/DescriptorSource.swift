internal import ArtifactFormats
internal import Glibc
internal import SystemPackage

/// An open file as bytes for a content check.
struct DescriptorSource: ByteSource {
    let descriptor: FileDescriptor
    let count: Int64

    init(_ descriptor: FileDescriptor) throws(Errno) {
        self.descriptor = descriptor
        count = Int64(try Linux.attributes(descriptor).st_size)
    }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try Linux.call { pread(descriptor.rawValue, buffer.baseAddress, buffer.count, off_t(offset)) }
    }
}

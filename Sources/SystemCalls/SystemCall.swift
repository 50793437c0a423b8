internal import Glibc
package import SystemPackage

/// The system calls that artifactfs makes, as Swift: a file for each kind of them, and here the loop that they all go through.
///
/// A name is a C string, to which Swift turns a `String` by itself. A descriptor given is never closed, but by ``close(_:)``.
package enum SystemCall {
    /// The current directory, for paths that are no name in a directory (openat(2), `AT_FDCWD`).
    package static let currentDirectory = FileDescriptor(rawValue: AT_FDCWD)

    /// The one loop over `EINTR`: calls until the answer is another one. A test may make the call fail (``Faults``).
    ///
    /// - Parameters:
    ///   - call: what kind of call it is, for ``Faults``.
    ///   - name: the name that it is on, of two the new one.
    ///   - body: returns what the system call returns, negative with `errno` set on failure.
    @inline(__always)
    @discardableResult
    static func retry<Value: SignedInteger>(
        _ call: Faults.Call, _ name: UnsafePointer<CChar>, _ body: () -> Value
    ) throws(Errno) -> Value {
        if Faults.areUsed { return try retry(Faults.fault(in: call, String(cString: name)), body) }
        return try untilDone(body)
    }

    /// The same for a name in an open directory. One that its server has forgotten is opened anew by its path, and the call made once more
    /// (``StaleDescriptors``).
    ///
    /// - Parameter other: another directory that the call is on.
    @inline(__always)
    @discardableResult
    static func retry<Value: SignedInteger>(
        _ call: Faults.Call, _ name: UnsafePointer<CChar>, in directory: FileDescriptor,
        and other: FileDescriptor? = nil, _ body: () -> Value
    ) throws(Errno) -> Value {
        do throws(Errno) { return try retry(call, name, body) } catch {
            guard error == .staleNFSFileHandle, renew(directory, other) else { throw error }
            return try retry(call, name, body)
        }
    }

    /// The same for a call on a descriptor, which is renewed as well.
    @inline(__always)
    @discardableResult
    static func retry<Value: SignedInteger>(
        _ call: Faults.Call, _ descriptor: FileDescriptor, _ body: () -> Value
    ) throws(Errno) -> Value {
        do throws(Errno) { return try tryOnce(call, descriptor, body) } catch {
            guard error == .staleNFSFileHandle, StaleDescriptors.renew(descriptor) else { throw error }
            return try tryOnce(call, descriptor, body)
        }
    }

    /// The same for a call on a descriptor that is open for the moment only: nothing is opened anew.
    @inline(__always)
    @discardableResult
    static func tryOnce<Value: SignedInteger>(
        _ call: Faults.Call, _ descriptor: FileDescriptor, _ body: () -> Value
    ) throws(Errno) -> Value {
        if Faults.areUsed { return try retry(Faults.fault(in: call, Faults.path(of: descriptor)), body) }
        return try untilDone(body)
    }

    /// Which of two directories is meant the system does not say.
    @inline(never)
    private static func renew(_ directory: FileDescriptor, _ other: FileDescriptor?) -> Bool {
        let isRenewed = StaleDescriptors.renew(directory)
        guard let other else { return isRenewed }
        return StaleDescriptors.renew(other) || isRenewed
    }

    /// The same for a call on neither.
    @inline(__always)
    @discardableResult
    static func retry<Value: SignedInteger>(_ call: Faults.Call, _ body: () -> Value) throws(Errno) -> Value {
        if Faults.areUsed { return try retry(Faults.fault(in: call, ""), body) }
        return try untilDone(body)
    }

    @inline(never)
    private static func retry<Value: SignedInteger>(
        _ fault: Faults.Fault?, _ body: () -> Value
    ) throws(Errno) -> Value {
        switch fault {
        case nil: return try untilDone(body)
        case .fails(let error): throw error
        case .isDoneAndFails(let error):
            _ = try untilDone(body)
            throw error
        }
    }

    @inline(__always)
    private static func untilDone<Value: SignedInteger>(_ body: () -> Value) throws(Errno) -> Value {
        while true {
            let value = body()
            if value >= 0 { return value }
            let error = Errno(rawValue: errno)
            if error != .interrupted { throw error }
        }
    }
}

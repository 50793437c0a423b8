import Glibc

/// What the program was called with, as bytes.
enum Arguments {
    /// Ends the program when an argument is not UTF-8.
    static func check() {
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let argument = CommandLine.unsafeArgv[index] else { return }
            let bytes = UnsafeBufferPointer(start: argument, count: strlen(argument)).map { UInt8(bitPattern: $0) }
            do {
                _ = try Paths.text(bytes)
            } catch {
                Terminal.complain((error as? Failure)?.text ?? "an argument is not UTF-8 text")
                Terminal.end(Status.cannotAnswer.rawValue)
            }
        }
    }
}

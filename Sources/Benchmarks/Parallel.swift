import Glibc

/// A loop run by several threads at once, each over its part of the paths.
enum Parallel {
    /// One thread's part. The thread has it alone until it is joined.
    private final class Part {
        let loop: Loops.Loop
        let paths: PathTable.Slice
        let buffer: UnsafeMutableRawPointer
        let gate: UnsafeMutablePointer<pthread_barrier_t>
        var result: Result<Loops.Tally, Failure> = .success(Loops.Tally())

        init(
            _ loop: @escaping Loops.Loop, _ paths: PathTable.Slice, _ gate: UnsafeMutablePointer<pthread_barrier_t>,
            copying block: UnsafeRawPointer
        ) {
            self.loop = loop
            self.paths = paths
            self.gate = gate
            buffer = UnsafeMutableRawPointer.allocate(byteCount: Content.blockSize, alignment: Content.blockSize)
            memcpy(buffer, block, Content.blockSize)
        }

        deinit { buffer.deallocate() }

        func run() {
            pthread_barrier_wait(gate)
            do throws(Failure) {
                result = .success(try loop(paths, buffer))
            } catch {
                result = .failure(error)
            }
        }
    }

    /// Times `threads` threads from their common start to the end of the last.
    ///
    /// - Parameter block: A block that each thread gets a copy of, to write.
    static func time(
        _ loop: @escaping Loops.Loop, _ paths: PathTable.Slice, block: UnsafeRawPointer, threads: Int
    ) throws(Failure) -> (Loops.Tally, seconds: Double) {
        let gate = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)
        defer { gate.deallocate() }
        guard pthread_barrier_init(gate, nil, UInt32(threads + 1)) == 0 else {
            throw Failure("cannot make a barrier for \(threads) threads")
        }
        defer { pthread_barrier_destroy(gate) }
        let parts = (0..<threads).map { Part(loop, paths.part($0, of: threads), gate, copying: block) }
        var handles: [pthread_t] = []
        for part in parts {
            var handle = pthread_t()
            let context = Unmanaged.passUnretained(part).toOpaque()
            let code = pthread_create(
                &handle, nil,
                { context in
                    if let context { Unmanaged<Part>.fromOpaque(context).takeUnretainedValue().run() }
                    return nil
                }, context)
            // The threads that started wait at the barrier for ever; a benchmark that cannot start eight ends here.
            guard code == 0 else {
                Failure.say("cannot start thread: \(String(cString: strerror(code)))")
                exit(1)
            }
            handles.append(handle)
        }
        pthread_barrier_wait(gate)
        let start = Clock.now()
        for handle in handles { pthread_join(handle, nil) }
        let seconds = Clock.now() - start
        var total = Loops.Tally()
        try withExtendedLifetime(parts) { () throws(Failure) in
            for part in parts { total = total + (try part.result.get()) }
        }
        return (total, seconds)
    }
}

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
        var start = 0.0
        var end = 0.0

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
            start = Clock.now()
            do throws(Failure) {
                result = .success(try loop(paths, buffer))
            } catch {
                result = .failure(error)
            }
            end = Clock.now()
        }
    }

    /// Times `threads` threads, from the first one's start to the last one's end: the thread that waits for them may get a processor
    /// only when they are done.
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
        for handle in handles { pthread_join(handle, nil) }
        var total = Loops.Tally()
        var (start, end) = (Double.infinity, 0.0)
        for part in parts {
            total = total + (try part.result.get())
            start = min(start, part.start)
            end = max(end, part.end)
        }
        return (total, end - start)
    }
}

import Glibc

/// Work done by several threads at once, each its part.
enum Parallel {
    /// A thread's part, by its number, with memory of its own.
    typealias Work = (_ thread: Int, UnsafeMutableRawPointer) throws(BenchFailure) -> Loops.Tally

    /// One thread's part. The thread has it alone until it is joined.
    private final class Part {
        let number: Int
        let work: Work
        let buffer: UnsafeMutableRawPointer
        let gate: UnsafeMutablePointer<pthread_barrier_t>
        var result: Result<Loops.Tally, BenchFailure> = .success(Loops.Tally())
        var start = 0.0
        var end = 0.0

        init(
            _ number: Int, _ gate: UnsafeMutablePointer<pthread_barrier_t>, copying content: UnsafeRawBufferPointer,
            _ work: @escaping Work
        ) {
            self.number = number
            self.work = work
            self.gate = gate
            buffer = UnsafeMutableRawPointer.allocate(byteCount: content.count, alignment: Content.blockSize)
            if let base = content.baseAddress { memcpy(buffer, base, content.count) }
        }

        deinit { buffer.deallocate() }

        func run() {
            pthread_barrier_wait(gate)
            start = Stopwatch.now()
            do throws(BenchFailure) {
                result = .success(try work(number, buffer))
            } catch {
                result = .failure(error)
            }
            end = Stopwatch.now()
        }
    }

    /// Times a loop over many files, each thread with its part of the paths.
    ///
    /// - Parameter block: A block that each thread gets a copy of, to write.
    static func time(
        _ loop: @escaping Loops.Loop, _ paths: PathTable.Slice, block: UnsafeRawPointer, threads: Int
    ) throws(BenchFailure) -> (Loops.Tally, seconds: Double) {
        try time(threads: threads, copying: UnsafeRawBufferPointer(start: block, count: Content.blockSize)) {
            (thread, buffer) throws(BenchFailure) in try loop(paths.part(thread, of: threads), buffer)
        }
    }

    /// Times `threads` threads, from the first one's start to the last one's end: the thread that waits for them may get a processor
    /// only when they are done.
    ///
    /// - Parameter content: what each thread gets a copy of, to write or to read over.
    static func time(
        threads: Int, copying content: UnsafeRawBufferPointer, _ work: @escaping Work
    ) throws(BenchFailure) -> (Loops.Tally, seconds: Double) {
        let gate = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)
        defer { gate.deallocate() }
        guard pthread_barrier_init(gate, nil, UInt32(threads + 1)) == 0 else {
            throw BenchFailure("cannot make a barrier for \(threads) threads")
        }
        defer { pthread_barrier_destroy(gate) }
        let parts = (0..<threads).map { Part($0, gate, copying: content, work) }
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
                BenchFailure.say("cannot start thread: \(String(cString: strerror(code)))")
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

internal import Glibc
internal import Testing

/// Real threads, all at once: tasks share as few as there are processors.
public func runThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Job: Sendable {
        let index: Int
        let body: @Sendable (Int) -> Void
        init(_ index: Int, _ body: @escaping @Sendable (Int) -> Void) {
            self.index = index
            self.body = body
        }
    }
    var threads: [pthread_t] = []
    for index in 0..<count {
        var thread = pthread_t()
        let job = Unmanaged.passRetained(Job(index, body))
        let result = pthread_create(
            &thread, nil,
            { argument in
                if let argument {
                    let job = Unmanaged<Job>.fromOpaque(argument).takeRetainedValue()
                    job.body(job.index)
                }
                return nil
            }, job.toOpaque())
        if result == 0 { threads.append(thread) } else { job.release() }
    }
    #expect(threads.count == count, "every thread is started")
    for thread in threads { pthread_join(thread, nil) }
}

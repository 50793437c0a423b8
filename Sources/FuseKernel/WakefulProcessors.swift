internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Keeps idle processors from falling asleep while programs wait for one answer after the other.
///
/// A program that waits for an answer leaves its processor idle, and waking it takes longer than the answer: in a virtual machine
/// it halts, which is an exit to the host and back (measured here: a round trip takes 22 µs, without halting 12); on a machine of
/// its own it falls into a state that takes up to 200 µs to leave. `/dev/cpu_dma_latency` is the kernel's interface for who minds
/// (Documentation/power/pm_qos_interface.rst): as long as a request is held, idle processors choose no state that takes
/// longer to leave. The kernel drops the request with the descriptor, however the driver ends.
///
/// It holds for all processors, so it is held for the time of a burst only: `WorkerPool` says when one begins and ends.
final class WakefulProcessors: Sendable {
    private let device: FileDescriptor
    /// In microseconds.
    private let latency: Int32
    /// Written with `changing` locked.
    private let held = Atomic<Bool>(false)
    private let changing = Lock(())

    /// In a virtual machine without a halt there is nothing for an idle processor but to look for work all the time, which its host
    /// and its sibling notice: so no more of them than these.
    private static let mostPolling = 16
    /// Longer than the light sleep of any processor (C1 takes 1 or 2 µs to leave), shorter than its deep ones.
    private static let lightSleep: Int32 = 5
    /// `PM_QOS_CPU_LATENCY_DEFAULT_VALUE` (linux/pm_qos.h): anything will do.
    private static let whatever: Int32 = 2_000_000_000

    /// Nil where there is nothing to ask of the kernel: without root, without idle states, or with too many processors.
    init?() {
        let isHalting = Self.driver.map { $0.hasPrefix("haltpoll") } ?? true
        if isHalting, sysconf(Int32(_SC_NPROCESSORS_ONLN)) > Self.mostPolling { return nil }
        latency = isHalting ? 0 : Self.lightSleep
        guard let device = try? SystemCall.open(SystemCall.currentDirectory, "/dev/cpu_dma_latency", O_WRONLY) else {
            return nil
        }
        self.device = device
    }

    deinit { SystemCall.close(device) }

    var isHeld: Bool { held.load(ordering: .relaxed) }

    /// A burst has begun.
    func hold() { change(to: true) }

    /// The burst is over.
    func release() { change(to: false) }

    private func change(to isToBeHeld: Bool) {
        guard isHeld != isToBeHeld else { return }
        changing.withLock { _ in
            guard isHeld != isToBeHeld else { return }
            let microseconds = isToBeHeld ? latency : Self.whatever
            let written = withUnsafeBytes(of: microseconds) { try? SystemCall.write(device, $0) }
            if written == 4 { held.store(isToBeHeld, ordering: .relaxed) }
        }
    }

    /// What puts idle processors to sleep, by the kernel's name for it.
    private static var driver: String? {
        let name = "/sys/devices/system/cpu/cpuidle/current_driver"
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, name, O_RDONLY) else { return nil }
        defer { SystemCall.close(file) }
        guard let bytes = try? SystemCall.bytes(file, at: 0, count: 64), !bytes.isEmpty else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}

import Glibc
import Logging
import SystemCalls
import SystemPackage

/// Where the driver's log goes: standard error in the foreground, the system's log in the background.
enum Log {
    static func start(toSystem: Bool) {
        LoggingSystem.bootstrap { label in
            if toSystem { return SystemLog() }
            return PrintableLog(stream: StreamLogHandler.standardError(label: label))
        }
    }
}

/// Standard error, which may be a terminal: what programs call their files cannot move its cursor.
private struct PrintableLog: LogHandler {
    private var stream: StreamLogHandler

    init(stream: StreamLogHandler) { self.stream = stream }

    var metadata: Logger.Metadata {
        get { stream.metadata }
        set { stream.metadata = newValue }
    }
    var logLevel: Logger.Level {
        get { stream.logLevel }
        set { stream.logLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { stream[metadataKey: key] }
        set { stream[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        var event = event
        event.message = "\(Terminal.printable("\(event.message)"))"
        event.metadata = event.metadata?.mapValues { .string(Terminal.printable("\($0)")) }
        stream.log(event: event)
    }
}

/// syslog(3).
private struct SystemLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.notice

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let details = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        let priority =
            switch event.level {
            case .critical: LOG_CRIT
            case .error: LOG_ERR
            case .warning: LOG_WARNING
            case .notice: LOG_NOTICE
            case .info: LOG_INFO
            case .debug, .trace: LOG_DEBUG
            }
        SystemCall.log(
            priority: priority | daemonFacility, Terminal.printable("artifactfs: \(event.message)\(details)"))
    }

    /// `LOG_DAEMON`, which is an expression that Swift does not import.
    private let daemonFacility: Int32 = 3 << 3
}

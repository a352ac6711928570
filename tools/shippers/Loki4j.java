import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.joran.JoranConfigurator;
import java.io.ByteArrayInputStream;
import java.time.Instant;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends numbered log records by Logback and its appender for Loki, until each is taken.
 *
 * <p>java -cp 'DIR/*' Loki4j.java URL KEY N
 */
class Loki4j {
    public static void main(String[] args) throws Exception {
        String config = """
            <configuration>
              <appender name="LOKI" class="com.github.loki4j.logback.Loki4jAppender">
                <labels>job=ship-loki4j</labels>
                <message><pattern>%%msg</pattern></message>
                <http>
                  <url>%s/loki/api/v1/push</url>
                  <auth><username>shipper</username><password>%s</password></auth>
                  <maxRetries>200</maxRetries><minRetryBackoffMs>100</minRetryBackoffMs><maxRetryBackoffMs>500</maxRetryBackoffMs>
                </http>
                <batch><maxItems>500</maxItems><timeoutMs>200</timeoutMs><sendQueueMaxBytes>1000000000</sendQueueMaxBytes><drainOnStop>true</drainOnStop></batch>
              </appender>
              <root level="INFO"><appender-ref ref="LOKI"/></root>
            </configuration>
            """.formatted(args[0], args[1]);
        LoggerContext context = (LoggerContext) LoggerFactory.getILoggerFactory();
        context.reset();
        JoranConfigurator configurator = new JoranConfigurator();
        configurator.setContext(context);
        configurator.doConfigure(new ByteArrayInputStream(config.getBytes()));
        Logger log = context.getLogger("ship");
        for (int i = 0; i < Integer.parseInt(args[2]); i++) {
            log.info("{\"time\":\"%s\",\"method\":\"GET\",\"path\":\"/ship/loki4j/%d\",\"status\":200,\"user\":\"u%d\",\"request_id\":\"loki4j-%d\"}"
                .formatted(Instant.now(), i, i % 7, i));
        }
        context.stop(); // when all is sent
    }
}

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * Java's HTTP client as it is by default, which offers HTTP/2 with its requests: makes calls in one session, then opens the stream.
 *
 *   java Calls.java URL NUMBER
 *
 * Prints one line, {@code ok=… failed=… {why=how often}}; exit code 0 if all were answered.
 */
public class Calls {
  private static final String HELLO = "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":"
      + "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{},\"clientInfo\":{\"name\":\"java\",\"version\":\"1\"}}}";

  private final HttpClient client = HttpClient.newHttpClient();
  private final URI url;
  private final String session;

  private Calls(URI url) throws Exception {
    this.url = url;
    this.session = client.send(post(HELLO).build(), BodyHandlers.ofString()).headers().firstValue("mcp-session-id").orElseThrow();
  }

  private HttpRequest.Builder post(String body) {
    return HttpRequest.newBuilder(url)
        .timeout(Duration.ofSeconds(60))
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .POST(BodyPublishers.ofString(body));
  }

  private String call(int id) {
    String body = "{\"jsonrpc\":\"2.0\",\"id\":" + id + ",\"method\":\"tools/call\",\"params\":"
        + "{\"name\":\"a__echo\",\"arguments\":{\"text\":\"number " + id + " of many\"}}}";
    try {
      HttpResponse<String> answer = client.send(post(body).header("Mcp-Session-Id", session).build(), BodyHandlers.ofString());
      if (answer.statusCode() != 200) return "status " + answer.statusCode();
      return answer.body().contains("number " + id + " of many") ? null : "another answer";
    } catch (Exception error) {
      return error.toString();
    }
  }

  public static void main(String[] arguments) throws Exception {
    Calls calls = new Calls(URI.create(arguments[0]));
    int number = Integer.parseInt(arguments[1]);
    Map<String, Integer> failures = new TreeMap<>();
    for (int id = 1; id <= number; id++) {
      String why = calls.call(id);
      if (why != null) failures.merge(why, 1, Integer::sum);
    }
    HttpRequest listen = HttpRequest.newBuilder(calls.url)
        .header("Accept", "text/event-stream").header("Mcp-Session-Id", calls.session).GET().build();
    int stream = calls.client.sendAsync(listen, BodyHandlers.ofLines()).get(20, TimeUnit.SECONDS).statusCode();
    if (stream != 200) failures.merge("stream: status " + stream, 1, Integer::sum);
    int failed = failures.values().stream().mapToInt(Integer::intValue).sum();
    System.out.println("ok=" + (number - failed) + " failed=" + failed + " " + failures);
    System.exit(failed == 0 ? 0 : 1);
  }
}

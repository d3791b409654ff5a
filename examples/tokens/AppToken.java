// Signs a token of an app: java AppToken.java alice@example.com
import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Instant;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

class AppToken {
    static String base64url(byte[] data) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(data);
    }

    /** Writes a text as JSON. An app that has a JSON library uses that. */
    static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
    }

    static String token(String person) throws Exception {
        long now = Instant.now().getEpochSecond();
        var env = System.getenv();
        var header = "{\"alg\":\"HS256\",\"kid\":%s}".formatted(quoted(env.get("APP_KID")));
        var claims = "{\"iss\":%s,\"aud\":%s,\"sub\":%s,\"iat\":%d,\"exp\":%d}".formatted(
            quoted(env.get("APP")), quoted(env.get("PORTAL")), quoted(person), now, now + 300);
        var message = base64url(header.getBytes(UTF_8)) + "." + base64url(claims.getBytes(UTF_8));
        var mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(env.get("APP_KEY")), "HmacSHA256"));
        return message + "." + base64url(mac.doFinal(message.getBytes(UTF_8)));
    }

    public static void main(String[] args) throws Exception {
        System.out.println(token(args[0]));
    }
}

# Signs a token of an app: ruby app_token.rb alice@example.com
require "json"
require "openssl"

def base64url(data)
  [data].pack("m0").tr("+/", "-_").delete("=")
end

def token(person)
  now = Time.now.to_i
  header = { alg: "HS256", kid: ENV.fetch("APP_KID") }
  claims = { iss: ENV.fetch("APP"), aud: ENV.fetch("PORTAL"), sub: person, iat: now, exp: now + 300 }
  message = [header, claims].map { |part| base64url(part.to_json) }.join(".")
  key = ENV.fetch("APP_KEY").unpack1("m0")
  "#{message}.#{base64url(OpenSSL::HMAC.digest("SHA256", key, message))}"
end

puts token(ARGV.fetch(0)) if $PROGRAM_NAME == __FILE__

<?php
// Signs a token of an app: php app_token.php alice@example.com

function base64url(string $data): string
{
    return rtrim(strtr(base64_encode($data), '+/', '-_'), '=');
}

function token(string $person): string
{
    $now = time();
    $header = ['alg' => 'HS256', 'kid' => getenv('APP_KID')];
    $claims = ['iss' => getenv('APP'), 'aud' => getenv('PORTAL'), 'sub' => $person, 'iat' => $now, 'exp' => $now + 300];
    $message = base64url(json_encode($header)) . '.' . base64url(json_encode($claims, JSON_THROW_ON_ERROR));
    $key = base64_decode(getenv('APP_KEY'), true);
    return $message . '.' . base64url(hash_hmac('sha256', $message, $key, true));
}

echo token($argv[1]), "\n";

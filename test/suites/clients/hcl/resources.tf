# SPDX-License-Identifier: Apache-2.0
#
# What the suite "terraform" applies: every setting of a bucket that the provider knows, and
# the keys and roles around it.

variable "days" {
  default = 30
}

variable "origin" {
  default = "https://example.com"
}

variable "team" {
  default = "a"
}

resource "aws_kms_key" "k" {
  description             = "for the bucket"
  deletion_window_in_days = 7
  enable_key_rotation     = true
  tags = { team = "a" }
}
resource "aws_kms_alias" "a" {
  name          = "alias/terraform"
  target_key_id = aws_kms_key.k.key_id
}
resource "aws_s3_bucket" "logs" {
  bucket        = "terraform-logs"
  force_destroy = true

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
    }
  }
}
resource "aws_s3_bucket" "plain" {
  bucket = "terraform-plain"

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
    }
  }
}
resource "aws_s3_bucket" "full" {
  bucket        = "terraform-full"
  force_destroy = true
  tags   = { team = var.team, env = "test" }
  versioning { enabled = true }
  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        sse_algorithm     = "aws:kms"
        kms_master_key_id = aws_kms_key.k.arn
      }
    }
  }
  lifecycle_rule {
    id      = "old"
    enabled = true
    prefix  = "tmp/"
    tags    = { a = "b" }
    expiration { days = var.days * 3 }
    noncurrent_version_expiration { days = 10 }
    transition {
      days          = var.days
      storage_class = "STANDARD_IA"
    }
  }
  lifecycle_rule {
    id      = "uploads"
    enabled = true
    abort_incomplete_multipart_upload_days = 3
  }
  cors_rule {
    allowed_headers = ["*"]
    allowed_methods = ["GET", "PUT"]
    allowed_origins = [var.origin]
    expose_headers  = ["ETag"]
    max_age_seconds = 300
  }
  website {
    index_document = "index.html"
    error_document = "error.html"
    routing_rules  = <<R
[{"Condition":{"KeyPrefixEquals":"docs/"},"Redirect":{"ReplaceKeyPrefixWith":"documents/"}}]
R
  }
  logging {
    target_bucket = aws_s3_bucket.logs.id
    target_prefix = "log/"
  }
  acceleration_status = "Enabled"
  request_payer       = "Requester"
}
resource "aws_s3_bucket" "replica" {
  bucket = "terraform-replica"
  versioning { enabled = true }
  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
    }
  }
}
resource "aws_s3_bucket" "replicated" {
  bucket        = "terraform-replicated"
  force_destroy = true
  versioning { enabled = true }
  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
    }
  }
  replication_configuration {
    role = aws_iam_role.r.arn
    rules {
      id     = "all"
      prefix = ""
      status = "Enabled"
      source_selection_criteria {
        sse_kms_encrypted_objects { enabled = true }
      }
      destination {
        bucket             = aws_s3_bucket.replica.arn
        storage_class      = "STANDARD_IA"
        replica_kms_key_id = aws_kms_key.k.arn
      }
    }
  }
}
resource "aws_s3_bucket" "locked" {
  bucket = "terraform-locked"

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
    }
  }
  object_lock_configuration {
    object_lock_enabled = "Enabled"
    rule {
      default_retention {
        mode = "GOVERNANCE"
        days = 1
      }
    }
  }
}
resource "aws_s3_bucket_policy" "p" {
  bucket = aws_s3_bucket.full.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Deny", Principal = "*", Action = "s3:DeleteBucket", Resource = "arn:aws:s3:::terraform-full" }] })
}
resource "aws_s3_bucket_public_access_block" "b" {
  bucket                  = aws_s3_bucket.full.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
  depends_on = [aws_s3_bucket_policy.p]
}
resource "aws_s3_bucket_metric" "m" {
  bucket = aws_s3_bucket.full.id
  name   = "EntireBucket"
  filter { prefix = "a/" }
}
resource "aws_s3_bucket_inventory" "i" {
  bucket                   = aws_s3_bucket.full.id
  name                     = "all"
  included_object_versions = "All"
  schedule { frequency = "Daily" }
  destination {
    bucket {
      format     = "CSV"
      bucket_arn = aws_s3_bucket.logs.arn
    }
  }
}
resource "aws_s3_bucket_object" "o" {
  bucket  = aws_s3_bucket.full.id
  key     = "hello"
  content = "hello"
  acl = "bucket-owner-full-control"
  content_type = "text/plain"
  kms_key_id = aws_kms_key.k.arn
  tags = { x = "y" }
}
resource "aws_iam_role" "r" {
  name = "terraform-role"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { Service = "s3.amazonaws.com" }, Action = "sts:AssumeRole" }] })
}
resource "aws_iam_role_policy" "rp" {
  name = "p"
  role = aws_iam_role.r.id
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "s3:*", Resource = "*" }] })
}
resource "aws_iam_user" "u" { name = "terraform-user" }
resource "aws_iam_access_key" "u" { user = aws_iam_user.u.name }

// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"

	"github.com/cofferstore/coffer/internal/fault"
)

// What users and roles have on AWS and never here: instance profiles, passwords, second
// factors, SSH keys, certificates and credentials of other services. Whoever removes a user or
// a role asks for them first, as infrastructure tools do, and is told that there are none.

// absent checks that the caller may ask, and that whom he asks about is there. Faults:
// AccessDenied, NoSuchEntity.
func (s *Service) absent(ctx context.Context, by Caller, action, kind, name string) error {
	if kind == kindUser && name == "" { // the caller's own
		return s.may(ctx, by, action, by.ARN, nil)
	}
	_, err := s.allowed(ctx, s, by, action, kind, name, nil)
	return err
}

// InstanceProfiles is a list of none.
type InstanceProfiles struct {
	InstanceProfiles []struct{}
	Page
}

// ListInstanceProfilesForRole asks for the instance profiles that have a role.
type ListInstanceProfilesForRole struct {
	RoleName string `api:"required 1-64 name"`
	Paged
}

// ListInstanceProfilesForRole finds none. Fault: NoSuchEntity.
func (s *Service) ListInstanceProfilesForRole(ctx context.Context, by Caller, in ListInstanceProfilesForRole) (InstanceProfiles, error) {
	return InstanceProfiles{InstanceProfiles: []struct{}{}}, s.absent(ctx, by, "ListInstanceProfilesForRole", kindRole, in.RoleName)
}

// ListInstanceProfiles asks for the account's instance profiles.
type ListInstanceProfiles struct {
	PathPrefix string `api:"1-512 prefix"`
	Paged
}

// ListInstanceProfiles finds none.
func (s *Service) ListInstanceProfiles(ctx context.Context, by Caller, in ListInstanceProfiles) (InstanceProfiles, error) {
	arn := entityARN(by.Account, "instance-profile", orRoot(in.PathPrefix), "")
	return InstanceProfiles{InstanceProfiles: []struct{}{}}, s.may(ctx, by, "ListInstanceProfiles", arn, nil)
}

// MFADevices is a list of none.
type MFADevices struct {
	MFADevices []struct{}
	Page
}

// ListMFADevices asks for the second factors of a user, or of the caller.
type ListMFADevices struct {
	UserName string `api:"1-128 name"`
	Paged
}

// ListMFADevices finds none. Fault: NoSuchEntity.
func (s *Service) ListMFADevices(ctx context.Context, by Caller, in ListMFADevices) (MFADevices, error) {
	return MFADevices{MFADevices: []struct{}{}}, s.absent(ctx, by, "ListMFADevices", kindUser, in.UserName)
}

// VirtualMFADevices is a list of none.
type VirtualMFADevices struct {
	VirtualMFADevices []struct{}
	Page
}

// ListVirtualMFADevices asks for the account's second factors that are programs.
type ListVirtualMFADevices struct {
	AssignmentStatus string `api:"Assigned|Unassigned|Any"`
	Paged
}

// ListVirtualMFADevices finds none.
func (s *Service) ListVirtualMFADevices(ctx context.Context, by Caller, _ ListVirtualMFADevices) (VirtualMFADevices, error) {
	arn := entityARN(by.Account, "mfa", "/", "")
	return VirtualMFADevices{VirtualMFADevices: []struct{}{}}, s.may(ctx, by, "ListVirtualMFADevices", arn, nil)
}

// SSHPublicKeys is a list of none.
type SSHPublicKeys struct {
	SSHPublicKeys []struct{}
	Page
}

// ListSSHPublicKeys asks for the SSH keys of a user, or of the caller.
type ListSSHPublicKeys struct {
	UserName string `api:"1-64 name"`
	Paged
}

// ListSSHPublicKeys finds none. Fault: NoSuchEntity.
func (s *Service) ListSSHPublicKeys(ctx context.Context, by Caller, in ListSSHPublicKeys) (SSHPublicKeys, error) {
	return SSHPublicKeys{SSHPublicKeys: []struct{}{}}, s.absent(ctx, by, "ListSSHPublicKeys", kindUser, in.UserName)
}

// SigningCertificates is a list of none.
type SigningCertificates struct {
	Certificates []struct{}
	Page
}

// ListSigningCertificates asks for the certificates of a user, or of the caller.
type ListSigningCertificates struct {
	UserName string `api:"1-128 name"`
	Paged
}

// ListSigningCertificates finds none. Fault: NoSuchEntity.
func (s *Service) ListSigningCertificates(ctx context.Context, by Caller, in ListSigningCertificates) (SigningCertificates, error) {
	return SigningCertificates{Certificates: []struct{}{}}, s.absent(ctx, by, "ListSigningCertificates", kindUser, in.UserName)
}

// ServiceSpecificCredentials is a list of none.
type ServiceSpecificCredentials struct {
	ServiceSpecificCredentials []struct{}
	Page
}

// ListServiceSpecificCredentials asks for what a user, or the caller, has to sign in to other
// services with.
type ListServiceSpecificCredentials struct {
	UserName    string `api:"1-64 name"`
	ServiceName string `api:"1-512"`
	Paged
}

// ListServiceSpecificCredentials finds none. Fault: NoSuchEntity.
func (s *Service) ListServiceSpecificCredentials(ctx context.Context, by Caller, in ListServiceSpecificCredentials) (ServiceSpecificCredentials, error) {
	err := s.absent(ctx, by, "ListServiceSpecificCredentials", kindUser, in.UserName)
	return ServiceSpecificCredentials{ServiceSpecificCredentials: []struct{}{}}, err
}

// GetLoginProfile asks whether a user has a password.
type GetLoginProfile struct {
	UserName string `api:"1-64 name"`
}

// GetLoginProfile finds none. Fault: NoSuchEntity, always.
func (s *Service) GetLoginProfile(ctx context.Context, by Caller, in GetLoginProfile) (None, error) {
	return s.noLoginProfile(ctx, by, "GetLoginProfile", in.UserName)
}

// DeleteLoginProfile takes a user's password away.
type DeleteLoginProfile struct {
	UserName string `api:"1-64 name"`
}

// DeleteLoginProfile finds none. Fault: NoSuchEntity, always.
func (s *Service) DeleteLoginProfile(ctx context.Context, by Caller, in DeleteLoginProfile) (None, error) {
	return s.noLoginProfile(ctx, by, "DeleteLoginProfile", in.UserName)
}

func (s *Service) noLoginProfile(ctx context.Context, by Caller, action, user string) (None, error) {
	err := s.absent(ctx, by, action, kindUser, user)
	if err == nil {
		err = fault.New(NoSuchEntity, "Login Profile for User %s cannot be found.", user)
	}
	return None{}, err
}
